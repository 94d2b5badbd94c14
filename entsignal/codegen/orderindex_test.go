package codegen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/entc/load"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type ordered struct{ ent.Schema }

func (ordered) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (ordered) Fields() []ent.Field {
	return []ent.Field{
		field.String("customer").StorageKey("for_whom"), field.Int("number").StorageKey("priority"), field.Time("at"),
		field.Text("story"), field.Int("serial").Unique(), field.Enum("level").Values("low", "high"),
		field.String("code").SchemaType(map[string]string{dialect.MySQL: "varchar(700)"}),
	}
}

func by(more ...schema.Annotation) []schema.Annotation {
	return append([]schema.Annotation{entsignal.AutoFlush(false)}, more...)
}

// Of these, each has an index added.
type (
	Mixed    struct{ ordered }
	Falling  struct{ ordered }
	Keyed    struct{ ordered }
	KeyedBy  struct{ ordered }
	Wanted   struct{ ordered }
	Partly   struct{ ordered }
	Opposite struct{ ordered }
	Coded    struct{ ordered }
)

func (Mixed) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy("customer", entsignal.Desc("number")))
}

func (Falling) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy(entsignal.Desc("at"), entsignal.Desc("id")))
}

func (Falling) Fields() []ent.Field {
	return append(ordered{}.Fields(), field.UUID("id", uuid.UUID{}).StorageKey("falling_id"))
}

func (Keyed) Annotations() []schema.Annotation { return by(entsignal.OrderKey("customer")) }

func (KeyedBy) Annotations() []schema.Annotation {
	return by(entsignal.OrderKey("level"), entsignal.OrderBy(entsignal.Desc("number"), "level"))
}

func (Wanted) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy("at"), entsignal.OrderIndex(true))
}

func (Partly) Annotations() []schema.Annotation { return by(entsignal.OrderBy("number")) }

func (Partly) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("number"), index.Fields("id", "number"),
		index.Fields("number", "id").StorageKey("some").Annotations(entsql.IndexWhere("priority > 1")),
		index.Fields("customer", "number", "id").Annotations(entsql.PrefixColumn("customer", 10)),
	}
}

func (Opposite) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy(entsignal.Desc("number")))
}

func (Opposite) Indexes() []ent.Index { return []ent.Index{index.Fields("number", "id")} }

func (Coded) Annotations() []schema.Annotation { return by(entsignal.OrderBy("code")) }

// Of these, none has.
type (
	Plain     struct{ ordered }
	ByID      struct{ ordered }
	Served    struct{ ordered }
	ServedKey struct{ ordered }
	Backwards struct{ ordered }
	OfUnique  struct{ ordered }
	Unwanted  struct{ ordered }
	Told      struct{ ordered }
)

func (ByID) Annotations() []schema.Annotation { return by(entsignal.OrderBy(entsignal.Desc("id"))) }

func (Served) Annotations() []schema.Annotation { return by(entsignal.OrderBy("number")) }

func (Served) Indexes() []ent.Index {
	return []ent.Index{index.Fields("number", "id").StorageKey("mine")}
}

func (ServedKey) Annotations() []schema.Annotation { return by(entsignal.OrderKey("number")) }

func (ServedKey) Indexes() []ent.Index { return []ent.Index{index.Fields("number")} }

func (Backwards) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy(entsignal.Desc("number")))
}

func (Backwards) Indexes() []ent.Index {
	return []ent.Index{index.Fields("number", "id").Annotations(entsql.DescColumns("id"))}
}

func (OfUnique) Annotations() []schema.Annotation { return by(entsignal.OrderBy("serial", "number")) }

func (Unwanted) Annotations() []schema.Annotation {
	return by(entsignal.OrderBy("number"), entsignal.OrderIndex(false))
}

func (Told) Annotations() []schema.Annotation { return by(entsignal.OrderBy("story")) }

func TestOrderHasAnIndexUnlessTheSchemaHasOneThatServes(t *testing.T) {
	t.Parallel()
	var schemas []*load.Schema
	for _, s := range []ent.Interface{
		Mixed{}, Falling{}, Keyed{}, KeyedBy{}, Wanted{}, Partly{}, Opposite{}, Coded{},
		Plain{}, ByID{}, Served{}, ServedKey{}, Backwards{}, OfUnique{}, Unwanted{}, Told{},
	} {
		data, err := load.MarshalSchema(s)
		require.NoError(t, err)
		loaded, err := load.UnmarshalSchema(data)
		require.NoError(t, err)
		schemas = append(schemas, loaded)
	}
	target := t.TempDir()
	require.NoError(t, generateFrom(t, schemas, target))
	code, err := os.ReadFile(filepath.Join(target, "migrate", "schema.go"))
	require.NoError(t, err)
	indexes := regexp.MustCompile(`(?m)^\t\t\t\tName: .*\n\t\t\t\tUnique: (?s:.*?)\n\t\t\t\},`).FindAllString(string(code), -1)
	golden(t, filepath.Join("testdata", "orderindex.golden"), strings.Join(indexes, "\n")+"\n")
}
