package codegen_test

import (
	"fmt"
	"log"
	"os"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

// This is what a project's entc.go does. The burst count of the schema is 0 here,
// so generation fails, names the schema, and writes no file.
func ExampleNewExtension() {
	signalBus, err := codegen.NewExtension()
	if err != nil {
		log.Fatalf("creating the extension for signals: %v", err)
	}
	target, err := os.MkdirTemp("", "ent")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(target)

	config := &gen.Config{Target: target, Package: "example.com/shop/ent"}
	err = entc.Generate("./testdata/bad/burst_zero/schema", config, entc.Extensions(signalBus))
	fmt.Println(err)
	files, err := os.ReadDir(target)
	fmt.Println("files:", len(files), err)
	// Output:
	// entsignal: schema OrderPlaced: BurstCount(0); expected 1 to 30000
	// files: 0 <nil>
}
