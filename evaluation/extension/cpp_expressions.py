"""Reads the expressions of C++ host code, launches and lambdas among them."""

from __future__ import annotations

import ast
import re
from contextlib import suppress

from evaluation.extension.cpp_types import BEFORE_TYPES, MAX_DEPTH, TYPE_WORDS, TypeReader
from evaluation.extension.nodes import (
    Assignment,
    Binary,
    Call,
    Cast,
    Choice,
    Index,
    Items,
    KernelLaunch,
    Lambda,
    Literal,
    Member,
    Name,
    Node,
    SizeOf,
    Statement,
    Unary,
)
from evaluation.extension.outcome import not_understood
from evaluation.extension.tokens import Token, spelled

_LEVELS = ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %")
_PRECEDENCE = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs.split()}
_ASSIGNMENTS = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="])
_CASTS = frozenset(["static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"])
_NUMBER = re.compile(
    r"(?P<float>(?:\d[\d']*\.[\d']*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFlL]?"
    r"|(?P<hex>0[xX][\da-fA-F']+)[uUlL]*|(?P<integer>\d[\d']*)[uUlLzZ]*",
    re.ASCII,
)
_BRACED = frozenset(["dim3", "vector", "IntArrayRef", "tuple", "pair", "array"])


def number(text: str, line: int) -> Literal:
    """A number as C++ writes it."""
    found = _NUMBER.fullmatch(text)
    with suppress(ValueError):
        if found and found["float"]:
            return Literal(line, float(found["float"].replace("'", "")))
        if found and found["hex"]:
            return Literal(line, int(found["hex"].replace("'", ""), 16))
        if found and len(text) < 24:
            return Literal(line, int(found["integer"].replace("'", "")))
    raise not_understood(f"the number {text:.40}", line)


class ExpressionReader(TypeReader):
    """Reads an expression; statements, which lambdas hold, are for who knows them."""

    def _block(self) -> tuple[Statement, ...]:
        raise NotImplementedError  # the reader of statements has it

    def expression(self) -> Node:
        """An expression with its assignment, if it is one."""
        self._deeper(1)
        line, target = self._line(), self._choice()
        if self._peek().text in _ASSIGNMENTS and self._peek().kind == "sign":
            operator = self._next().text
            target = Assignment(line, target, operator.removesuffix("="), self.expression())
        self._deeper(-1)
        return target

    def _choice(self) -> Node:
        line, condition = self._line(), self._binary(0)
        if not self._take("?"):
            return condition
        yes = self.expression()
        self._expect(":")
        return Choice(line, condition, yes, self.expression())

    def _binary(self, level: int) -> Node:
        left = self._unary()
        while self._peek().kind == "sign" and _PRECEDENCE.get(self._peek().text, -1) >= level:
            operator = self._next()
            self._deeper(1)
            right = self._binary(_PRECEDENCE[operator.text] + 1)
            self._deeper(-1)
            left = Binary(operator.line, operator.text, left, right)
        return left

    def _unary(self) -> Node:
        token = self._peek()
        if token.kind == "sign" and token.text in ("-", "+", "!", "~", "&", "*", "++", "--"):
            self._at += 1
            self._deeper(1)
            operand = self._unary()
            self._deeper(-1)
            if token.text in ("++", "--"):
                return Assignment(token.line, operand, token.text[0], Literal(token.line, 1))
            return Unary(token.line, token.text, operand)
        if self._is("(") and self._is_cast():
            self._at += 1
            text = self._type()
            self._expect(")")
            self._deeper(1)
            operand = self._unary()
            self._deeper(-1)
            return Cast(token.line, text, operand)
        return self._postfix(self._primary())

    def _is_cast(self) -> bool:
        """Whether the parenthesis holds a type: a built-in one, or one that ends in `*`."""
        end = self._type_end(self._at + 1)
        if end is None or self._tokens[end : end + 1] == [] or self._tokens[end].text != ")":
            return False
        words = [token.text for token in self._tokens[self._at + 1 : end] if token.text not in BEFORE_TYPES]
        return words[0] in TYPE_WORDS or words[-1] == "*"

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return number(token.text, token.line)
        if token.kind == "string":
            return self._string(token)
        if token.text == "(":
            node = self.expression()
            self._expect(")")
            return node
        if token.text == "{":
            return Items(token.line, self._arguments("}"))
        if token.text == "[":
            return self._lambda(token.line)
        if token.text == "::" and self._peek().kind == "word":
            token = self._next()
        if token.kind != "word":
            raise not_understood(f"{token.text!r:.40} in an expression", token.line)
        return self._named(token)

    def _string(self, token: Token) -> Literal:
        text = ""
        self._at -= 1
        while self._peek().kind == "string":
            literal = self._next().text
            with suppress(ValueError, SyntaxError):
                text += str(ast.literal_eval(literal[literal.index('"') :]))
        return Literal(token.line, text)

    def _named(self, token: Token) -> Node:
        """What begins with a word: a constant, a cast, a type, or a name that may be qualified."""
        line = token.line
        if token.text in ("true", "false"):
            return Literal(line, token.text == "true")
        if token.text in ("nullptr", "NULL"):
            return Literal(line, None)
        if token.text in _CASTS:
            self._expect("<")
            text = self._type()
            self._expect(">")
            return Cast(line, text, self._in_parentheses())
        if token.text == "sizeof":
            return self._size_of(line)
        name = token.text
        while name in ("unsigned", "long", "signed", "short") and self._peek().text in TYPE_WORDS:
            name += f" {self._next().text}"
        while self._is("::") and self._peek(1).kind == "word":
            self._at += 1
            name += f"::{self._next().text}"
        return Name(line, name)

    def _size_of(self, line: int) -> Node:
        self._expect("(")
        text = self._type()
        self._expect(")")
        return SizeOf(line, text)

    def _postfix(self, node: Node) -> Node:
        links = 0
        while True:
            links += 1
            if links > 4 * MAX_DEPTH:
                raise not_understood("a chain of too many calls", self._line())
            line = self._line()
            if self._take(".", "->"):
                self._take("template")
                node = Member(line, node, self._next().text)
            elif self._take("["):
                node = Index(line, node, self.expression())
                self._expect("]")
            elif self._is("(", "<", "<<<", "{"):
                called = self._called(node, line)
                if called is None:
                    return node
                node = called
            elif self._take("++", "--"):
                node = Assignment(line, node, self._peek(-1).text[0], Literal(line, 1))
            else:
                return node

    def _called(self, node: Node, line: int) -> Node | None:
        """A call or a launch, with template arguments if there are any; None for a comparison."""
        begin = self._at
        template: tuple[str, ...] = ()
        if self._is("<"):
            end = self._template_end(self._at)
            if (
                end is None
                or end >= len(self._tokens)
                or self._tokens[end].text not in ("(", "<<<", "{", "::")
            ):
                return None
            template = self._template_arguments(self._tokens[self._at + 1 : end - 1])
            self._at = end
            if self._take("::"):
                node = Name(line, f"{spelled(self._tokens[begin - 1 : end])}::{self._next().text}")
                return self._called(node, line) if self._is("(") else node
        if self._take("<<<"):
            return self._launch(node, template, line)
        if self._take("("):
            return Call(line, node, self._arguments(")"), template=template)
        if self._is("{") and isinstance(node, Name) and (template or node.text.split("::")[-1] in _BRACED):
            self._at += 1
            return Call(line, node, (Items(line, self._arguments("}")),), template=template)
        return None

    def _template_arguments(self, tokens: list[Token]) -> tuple[str, ...]:
        parts: list[list[Token]] = [[]]
        depth = 0
        for token in tokens:
            depth += (token.text in ("<", "(")) - (token.text in (">", ")"))
            if token.text == "," and depth == 0:
                parts.append([])
            else:
                parts[-1].append(token)
        return tuple(spelled(part) for part in parts if part)

    def _launch(self, node: Node, template: tuple[str, ...], line: int) -> KernelLaunch:
        configuration = self._arguments(">>>")
        self._expect("(")
        if not isinstance(node, Name):
            raise not_understood("a launch of what is no name", line)
        return KernelLaunch(line, node.text, template, configuration, self._arguments(")"))

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self.expression())
            if not self._is(end):
                self._expect(",")
        return tuple(found)

    def _lambda(self, line: int) -> Lambda:
        while not self._take("]"):
            self._next()
        parameters: list[str] = []
        if self._take("("):
            while not self._take(")"):
                token = self._next()
                if self._is(",", ")"):
                    parameters.append(token.text)
        while not self._take("{"):  # mutable, noexcept, -> type
            self._next()
        return Lambda(line, tuple(parameters), self._block())

    def _in_parentheses(self) -> Node:
        self._expect("(")
        node = self.expression()
        self._expect(")")
        return node
