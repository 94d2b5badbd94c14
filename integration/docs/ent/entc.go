//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

// snippet: entc

func main() {
	signalBus, err := codegen.NewExtension()
	if err != nil {
		log.Fatalf("creating the extension for signals: %v", err)
	}
	if err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus)); err != nil {
		log.Fatalf("running ent codegen: %v", err)
	}
}

// end snippet
