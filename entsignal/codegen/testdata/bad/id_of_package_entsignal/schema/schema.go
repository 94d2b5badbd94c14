// Package schema has an id whose package is called like the library.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal/codegen/testdata/bad/id_of_package_entsignal/schema/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.String("id").GoType(entsignal.ID(""))}
}
