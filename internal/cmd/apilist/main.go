// Command apilist prints the exported API of a package, one line for each
// symbol, in the form of the files in the folder api. A change of the API is
// then a line in a diff, which somebody has decided on.
//
// Usage:
//
//	apilist DIR
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apilist DIR")
		os.Exit(2)
	}
	lines, err := list(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
}
