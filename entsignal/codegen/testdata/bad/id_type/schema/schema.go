// Package schema has ids by which a row isn't found again.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

type OfTime struct{ signal }

func (OfTime) Fields() []ent.Field { return []ent.Field{field.Time("id").Default(time.Now)} }

type OfFloat struct{ signal }

func (OfFloat) Fields() []ent.Field { return []ent.Field{field.Float("id")} }

type OfBool struct{ signal }

func (OfBool) Fields() []ent.Field { return []ent.Field{field.Bool("id")} }

type OfEnum struct{ signal }

func (OfEnum) Fields() []ent.Field { return []ent.Field{field.Enum("id").Values("a", "b")} }

type OfJSON struct{ signal }

func (OfJSON) Fields() []ent.Field { return []ent.Field{field.JSON("id", []string{})} }
