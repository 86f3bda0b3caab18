"""The dataset format: reading, validating, splitting and describing data; the catalogue; the demo world."""

from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index
from llmrec.data.read import read_dataset, write_dataset

__all__ = ["Catalogue", "Dataset", "Index", "read_dataset", "write_dataset"]
