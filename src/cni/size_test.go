package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// ESLint applies the same limits to the TypeScript of this repository.
const longestFile, longestFunction = 300, 60

func TestFilesAndFunctionsAreShort(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	positions := token.NewFileSet()
	for _, file := range files {
		parsed, err := parser.ParseFile(positions, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		lines := func(from, to token.Pos) int { return positions.Position(to).Line - positions.Position(from).Line + 1 }
		if has := positions.File(parsed.Pos()).LineCount() - 1; has > longestFile {
			t.Errorf("%s has %d lines, more than %d", file, has, longestFile)
		}
		for _, declaration := range parsed.Decls {
			function, is := declaration.(*ast.FuncDecl)
			if !is {
				continue
			}
			if has := lines(function.Pos(), function.End()); has > longestFunction {
				t.Errorf("%s: %s has %d lines, more than %d", file, function.Name.Name, has, longestFunction)
			}
		}
	}
}
