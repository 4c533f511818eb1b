"""The node in the PACS, and the result objects it sends; needs the extra 'pacs'."""

from carina.pacs.found import Found
from carina.pacs.node import Node, run_node
from carina.pacs.results import RESULT_CLASSES, ResultObject, build_results

__all__ = ["RESULT_CLASSES", "Found", "Node", "ResultObject", "build_results", "run_node"]
