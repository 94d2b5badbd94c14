package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("street", "town"), entsignal.OrderIndex(true)}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.String("street").MaxLen(600), field.String("town")}
}

type OrderPaid struct{ ent.Schema }

func (OrderPaid) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPaid) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("account"), entsignal.OrderIndex(true)}
}

func (OrderPaid) Fields() []ent.Field {
	return []ent.Field{field.String("account").SchemaType(map[string]string{dialect.MySQL: "tinytext"})}
}
