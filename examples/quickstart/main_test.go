package main

import (
	"os"
	"testing"
)

// TestMain runs the example in a folder of its own, where no file of an
// earlier run lies.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "quickstart")
	check(err)
	check(os.Chdir(dir))
	code := m.Run()
	check(os.RemoveAll(dir))
	os.Exit(code)
}

func Example() {
	main()
	// Output:
	// 1. Ada orders. The commit sends the signal:
	//    sent: order 1
	// 2. Bob orders. The rollback takes the signal back.
	// 3. The broker is down, and Eve orders. The commit succeeds; the signal is pending:
	//    pending: 1
	// 4. The broker is back. A flush sends what is pending:
	//    sent: order 2
}
