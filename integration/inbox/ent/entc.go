//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

func main() {
	ex, err := codegen.NewExtension()
	if err != nil {
		log.Fatal(err)
	}
	cfg := &gen.Config{}
	if err := entc.Generate("./schema", cfg, entc.Extensions(ex)); err != nil {
		log.Fatal("running ent codegen: ", err)
	}
}
