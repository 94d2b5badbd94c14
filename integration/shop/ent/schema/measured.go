package schema

import (
	"net/url"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/integration/shop/kinds"
)

// Measured has a field of each type that ent can store.
type Measured struct{ signal }

// Fields of the Measured.
func (Measured) Fields() []ent.Field {
	return []ent.Field{
		field.JSON("labels", map[string]string{}).Optional(),
		field.Strings("tags").Optional(),
		field.Time("at").Default(func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }),
		field.Time("until").Optional().Nillable(),
		field.Enum("level").Values("low", "high").Default("low"),
		field.Bytes("raw").Optional(),
		field.Bool("flag").Optional().Nillable(),
		field.Float("value").Default(1.5),
		field.Int64("cents").GoType(kinds.Cents(0)).Default(0),
		field.String("link").GoType(&url.URL{}).ValueScanner(field.BinaryValueScanner[*url.URL]{}).Optional(),
		field.Text("note").Optional(),
	}
}
