// Command child is the program of the crash test's processes, for runs whose
// processes are built otherwise than the test.
package main

import (
	"os"

	"github.com/entsignal/signalbus/integration/crash"
)

func main() { os.Exit(crash.RunChild()) }
