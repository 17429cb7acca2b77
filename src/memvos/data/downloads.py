"""Sets whose terms allow direct download, at their publishers' addresses. The others ask for a form or a login."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """Attributes: urls; terms, to be read before use; below, the folder below the root that each archive goes to."""

    urls: tuple[str, ...]
    terms: str
    below: tuple[str, ...] = ()


_ETH = "https://data.vision.ee.ethz.ch/csergi/share/davis"
_COCO = "http://images.cocodataset.org"
_ECSSD = "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/data/ECSSD"
_DAVIS_TERMS = "CC BY-NC 4.0 (frames), CC BY 4.0 (annotations)"

DOWNLOADS = {
    "davis2016": Download(("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip",), _DAVIS_TERMS),
    "davis2017": Download((f"{_ETH}/DAVIS-2017-trainval-480p.zip",), _DAVIS_TERMS),
    "davis2017_testdev": Download((f"{_ETH}/DAVIS-2017-test-dev-480p.zip",), _DAVIS_TERMS),
    "coco": Download(
        (f"{_COCO}/zips/train2017.zip", f"{_COCO}/annotations/annotations_trainval2017.zip"),
        "annotations CC BY 4.0; images as on Flickr",
    ),
    "duts": Download(
        (
            "http://saliencydetection.net/duts/download/DUTS-TR.zip",
            "http://saliencydetection.net/duts/download/DUTS-TE.zip",
        ),
        "for research; see saliencydetection.net/duts",
    ),
    "ecssd": Download((f"{_ECSSD}/images.zip", f"{_ECSSD}/ground_truth_mask.zip"), "for research", ("ECSSD", "ECSSD")),
}
