// Command entsignal adds a signal bus to an ent project, and new signals to
// its schema. See "entsignal --help".
package main

import (
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
