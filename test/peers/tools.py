"""Checks definitions of tools by the providers' own types. Argument, as JSON:

  file  a file of JSON: {"openai": [...], "strict": [...], "anthropic": [...], "gemini": [...], "mcp": [...]}

It prints how many tools it checked, by format, and what is wrong with those that fail.
"""

import json
import sys

from anthropic.types import ToolParam
from google.genai.types import FunctionDeclaration
from jsonschema import Draft202012Validator
from mcp.types import Tool
from openai.types.chat import ChatCompletionFunctionToolParam
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict


def closed(typed):
    """Returns a checker of a TypedDict that takes no other members."""
    assert is_typeddict(typed)
    typed.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return TypeAdapter(typed).validate_python


def gemini(tool):
    assert FunctionDeclaration.model_config.get("extra") == "forbid"
    FunctionDeclaration.model_validate(tool)


def mcp(tool):
    Tool.model_validate(tool)
    Draft202012Validator.check_schema(tool["inputSchema"])


def anthropic(tool, check=closed(ToolParam)):
    check(tool)
    Draft202012Validator.check_schema(tool["input_schema"])


def openai(tool, check=closed(ChatCompletionFunctionToolParam)):
    check(tool)
    Draft202012Validator.check_schema(tool["function"]["parameters"])


def main() -> None:
    with open(json.loads(sys.argv[1])["file"]) as file:
        tools = json.load(file)
    checked, problems = {}, []
    for name, check in {"openai": openai, "strict": openai, "anthropic": anthropic, "gemini": gemini, "mcp": mcp}.items():
        checked[name] = len(tools[name])
        for tool in tools[name]:
            try:
                check(tool)
            except Exception as error:
                problems.append(f"{name}: {error}: {json.dumps(tool)}"[:2000])
    print(json.dumps({"checked": checked, "problems": problems}))


main()
