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
	opts := []entc.Option{entc.TemplateFiles("./literal.tmpl"), entc.FeatureNames("sql/upsert", "sql/lock", "sql/execquery"), entc.Extensions(ex)}
	if err := entc.Generate("./schema", &gen.Config{}, opts...); err != nil {
		log.Fatal(err)
	}
}
