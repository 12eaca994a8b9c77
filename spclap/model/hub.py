"""Model directories by name: the released one, folders, and those of the Hugging Face hub, which are fetched into its
cache, found there without network, and pushed."""

import re
from pathlib import Path

from spclap.errors import DataError
from spclap.model.folders import SUMS, listed
from spclap.model.language import loading
from spclap.model.packaged import RELEASED

ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # user/name
CARD = "README.md"  # beside what is listed


def located(name: str | Path | None = None, revision: str | None = None) -> Path:
    """Folder of a model: the released one for no name, a folder, or what the hub has under `user/model`. DataError for
    a name of nothing, and for a revision of what is not on the hub."""
    if isinstance(name, str) and ID.fullmatch(name) and not Path(name).exists():
        return fetched(name, revision)
    if revision is not None:
        raise DataError(f"revision {revision}: {name or 'the released model'} is not on the hub; leave it out")
    if name is None and not (RELEASED / "config.yaml").is_file():
        raise DataError(f"{RELEASED}: this installation has no released model; install it anew or name a model")
    return RELEASED if name is None else Path(name).absolute()  # found wherever the caller goes


def require_hub() -> None:
    """DataError where huggingface_hub is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise DataError("models on the hub need huggingface_hub; run `pip install spclap[hub]`") from None


def fetched(name: str, revision: str | None = None) -> Path:
    """Folder of a hub id in the hub's cache, at a branch, tag or commit, the newest if not given; what is cached is
    used where there is no network. Of a repository only what SHA256SUMS lists is fetched, and the card. DataError for
    what cannot be had."""
    require_hub()
    from huggingface_hub import snapshot_download

    at = f"{name} at {revision}" if revision else name
    with loading(at, f"{name} is no folder here, and no model directory of the hub or of its cache; correct it"):
        first = Path(snapshot_download(name, revision=revision, allow_patterns=[SUMS]))
        names = [*listed(first, "give a model of spclap"), SUMS, CARD]
        return Path(snapshot_download(name, revision=first.name, allow_patterns=names))


def push(folder: Path, name: str, revision: str | None, token: str | None, private: bool, message: str) -> str:
    """A model directory as the hub's repository `name`, made if it is not there; returns the commit's address.
    DataError for what the hub refuses."""
    require_hub()
    from huggingface_hub import HfApi

    with loading(f"{name}: cannot be pushed", "look at the name, and at the token with `hf auth whoami`"):
        names, api = [*listed(folder, "export it anew"), SUMS, CARD], HfApi(token=token)
        api.create_repo(name, private=private, exist_ok=True)
        if revision:
            api.create_branch(name, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=name, folder_path=folder, revision=revision, commit_message=message, allow_patterns=names
        )
        return str(getattr(done, "commit_url", done))
