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
	if err == nil {
		err = entc.Generate("./schema", &gen.Config{}, entc.Extensions(ex))
	}
	if err != nil {
		log.Fatal(err)
	}
}
