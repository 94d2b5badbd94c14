//go:build ignore

package main

import (
	"log"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

func main() {
	signalBus, err := codegen.NewExtension()
	if err != nil {
		log.Fatal(err)
	}
	// No template: the schema of the API is what the test looks at.
	graphQL, err := entgql.NewExtension(
		entgql.WithSchemaGenerator(),
		entgql.WithSchemaPath("api.graphql"),
		entgql.WithWhereInputs(true),
		entgql.WithTemplates(),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := entc.Generate("./schema", &gen.Config{}, entc.Extensions(graphQL, signalBus)); err != nil {
		log.Fatal("running ent codegen: ", err)
	}
}
