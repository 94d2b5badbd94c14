// Package schema has signals whose order keys are none.
package schema

import (
	"net/url"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type base struct{ ent.Schema }

func (base) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (base) Fields() []ent.Field {
	return []ent.Field{
		field.Int("account"),
		field.Int("maybe").Optional(),
		field.Int("nil").Optional().Nillable(),
		field.Strings("tags"),
		field.Time("at"),
		field.Float("rate"),
		field.Bytes("link").GoType(&url.URL{}).ValueScanner(field.BinaryValueScanner[*url.URL]{}),
	}
}

func keyed(field string) []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey(field)}
}

type KeyUnknown struct{ base }

func (KeyUnknown) Annotations() []schema.Annotation { return keyed("acount") }

type KeyOptional struct{ base }

func (KeyOptional) Annotations() []schema.Annotation { return keyed("maybe") }

type KeyNillable struct{ base }

func (KeyNillable) Annotations() []schema.Annotation { return keyed("nil") }

type KeyOfStrings struct{ base }

func (KeyOfStrings) Annotations() []schema.Annotation { return keyed("tags") }

type KeyOfTime struct{ base }

func (KeyOfTime) Annotations() []schema.Annotation { return keyed("at") }

type KeyOfFloat struct{ base }

func (KeyOfFloat) Annotations() []schema.Annotation { return keyed("rate") }

type KeyOfBytes struct{ base }

func (KeyOfBytes) Annotations() []schema.Annotation { return keyed("link") }

type KeyOfID struct{ base }

func (KeyOfID) Annotations() []schema.Annotation { return keyed("id") }

type KeyEmpty struct{ base }

func (KeyEmpty) Annotations() []schema.Annotation { return keyed("") }

type KeyWithoutAutoFlush struct{ base }

func (KeyWithoutAutoFlush) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.OrderKey("account")}
}

type LockWithoutKey struct{ base }

func (LockWithoutKey) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.LockOrderKey()}
}
