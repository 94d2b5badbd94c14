// Package schema has entities of the shapes that ent itself is tested with: ids of
// many types, edges with schemas of their own, JSON, hooks, interceptors and
// policies. Each that can be one is a signal.
package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// gone deletes what belongs to a deleted row.
func gone() schema.Annotation { return entsql.OnDelete(entsql.Cascade) }

// Courier has a string as its id.
type Courier struct{ signal }

// Fields of the Courier.
func (Courier) Fields() []ent.Field {
	return []ent.Field{field.String("id").MaxLen(20).NotEmpty(), field.Int("trips").Default(0)}
}

// Edges of the Courier.
func (Courier) Edges() []ent.Edge { return []ent.Edge{edge.To("parcels", Parcel.Type)} }

// Size is a value that is stored as JSON.
type Size struct{ Width, Height int }

// Parcel has a UUID, and JSON.
type Parcel struct{ signal }

// Fields of the Parcel.
func (Parcel) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New),
		field.Strings("labels").Optional(),
		field.Ints("weights").Default([]int{1}),
		field.JSON("size", &Size{}).Optional(),
		field.JSON("raw", json.RawMessage{}).Optional(),
		field.JSON("sizes", map[string]Size{}).Optional(),
	}
}

// Edges of the Parcel.
func (Parcel) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("courier", Courier.Type).Ref("parcels").Unique(),
		edge.To("parts", Parcel.Type).From("whole").Unique(),
		edge.To("stamp", Stamp.Type).Unique().Annotations(gone()),
	}
}

// Stamp has bytes as its id, and is required to be on a parcel.
type Stamp struct{ signal }

// Fields of the Stamp.
func (Stamp) Fields() []ent.Field {
	return []ent.Field{field.Bytes("id").SchemaType(map[string]string{dialect.MySQL: "varbinary(20)"})}
}

// Edges of the Stamp.
func (Stamp) Edges() []ent.Edge {
	return []ent.Edge{edge.From("parcel", Parcel.Type).Ref("stamp").Unique().Required()}
}

// Person has hooks, an interceptor, and edges with a schema of their own.
type Person struct{ signal }

// Fields of the Person.
func (Person) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Unique().MaxLen(50),
		field.String("password").Optional().Sensitive(),
		field.Int("version").Default(0),
		field.Bool("hidden").Default(false),
	}
}

// Edges of the Person.
func (Person) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("friends", Person.Type).Through("friendships", Friendship.Type),
		edge.From("clubs", Club.Type).Ref("members").Through("memberships", Membership.Type),
		edge.To("posts", Post.Type).Annotations(gone()),
	}
}

// Hooks of the Person.
func (Person) Hooks() []ent.Hook {
	return []ent.Hook{
		func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				_, changed := m.Field("password")
				switch {
				case m.Op().Is(ent.OpUpdate) && (changed || m.FieldCleared("password")):
					return nil, errors.New("a password is of one person")
				case m.Op().Is(ent.OpUpdateOne):
					old, err := m.OldField(ctx, "version")
					if err != nil {
						return nil, err
					}
					if err := m.SetField("version", old.(int)+1); err != nil {
						return nil, err
					}
				}
				return next.Mutate(ctx, m)
			})
		},
		func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				v, err := next.Mutate(ctx, m)
				if name, _ := m.Field("name"); err == nil && name == "refused after the insert" {
					return nil, fmt.Errorf("refused %v", m.Op())
				}
				return v, err
			})
		},
	}
}

// Interceptors of the Person hide what is hidden.
func (Person) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{ent.TraverseFunc(func(_ context.Context, q ent.Query) error {
		if q, ok := q.(interface{ WhereP(...func(*sql.Selector)) }); ok {
			q.WhereP(sql.FieldEQ("hidden", false))
		}
		return nil
	})}
}

// Friendship is an edge with an id.
type Friendship struct{ signal }

// Fields of the Friendship.
func (Friendship) Fields() []ent.Field {
	return []ent.Field{field.Int("weight").Default(1), field.Int("person_id"), field.Int("friend_id")}
}

// Edges of the Friendship.
func (Friendship) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("person", Person.Type).Unique().Required().Field("person_id").Annotations(gone()),
		edge.To("friend", Person.Type).Unique().Required().Field("friend_id").Annotations(gone()),
	}
}

// Indexes of the Friendship.
func (Friendship) Indexes() []ent.Index {
	return []ent.Index{index.Fields("weight")}
}

// Club has members.
type Club struct{ signal }

// Edges of the Club.
func (Club) Edges() []ent.Edge {
	return []ent.Edge{edge.To("members", Person.Type).Through("memberships", Membership.Type)}
}

// Membership is an edge without an id.
type Membership struct{ ent.Schema }

// Annotations of the Membership.
func (Membership) Annotations() []schema.Annotation {
	return []schema.Annotation{field.ID("club_id", "person_id")}
}

// Fields of the Membership.
func (Membership) Fields() []ent.Field {
	return []ent.Field{field.Bool("paid").Default(false), field.Int("club_id"), field.Int("person_id")}
}

// Edges of the Membership.
func (Membership) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("club", Club.Type).Unique().Required().Field("club_id").Annotations(gone()),
		edge.To("person", Person.Type).Unique().Required().Field("person_id").Annotations(gone()),
	}
}

// Viewer is the key of a context's value: the name of who acts.
type Viewer struct{}

// Post is for those who are somebody, and deleted by nobody but root.
type Post struct{ signal }

// Fields of the Post.
func (Post) Fields() []ent.Field { return []ent.Field{field.String("text")} }

// Edges of the Post.
func (Post) Edges() []ent.Edge {
	return []ent.Edge{edge.From("author", Person.Type).Ref("posts").Unique()}
}

// Policy of the Post.
func (Post) Policy() ent.Policy {
	somebody := privacy.ContextQueryMutationRule(func(ctx context.Context) error {
		if name, _ := ctx.Value(Viewer{}).(string); name == "" {
			return privacy.Denyf("nobody is acting")
		}
		return privacy.Skip
	})
	return privacy.Policy{
		Query: privacy.QueryPolicy{somebody, privacy.AlwaysAllowRule()},
		Mutation: privacy.MutationPolicy{
			somebody,
			privacy.OnMutationOperation(privacy.MutationRuleFunc(func(ctx context.Context, _ ent.Mutation) error {
				if ctx.Value(Viewer{}) == "root" {
					return privacy.Allow
				}
				return privacy.Denyf("only root deletes")
			}), ent.OpDelete|ent.OpDeleteOne),
			privacy.AlwaysAllowRule(),
		},
	}
}

// Audit notes what was posted.
type Audit struct{ signal }

// Fields of the Audit.
func (Audit) Fields() []ent.Field { return []ent.Field{field.String("what")} }
