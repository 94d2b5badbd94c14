// Package schema has entities for a GraphQL API, and signals beside them.
package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// Customer is what the API is about.
type Customer struct{ ent.Schema }

func (Customer) Fields() []ent.Field { return []ent.Field{field.String("name")} }

func (Customer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("messages", CustomerMoved.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("letters", LetterReceived.Type),
	}
}

func (Customer) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.QueryField(), entgql.Mutations(entgql.MutationCreate(), entgql.MutationUpdate())}
}

// CustomerMoved is a signal, with all that a GraphQL API could be made of.
type CustomerMoved struct{ ent.Schema }

func (CustomerMoved) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

func (CustomerMoved) Fields() []ent.Field {
	return []ent.Field{field.String("city"), field.Enum("how").Values("van", "train")}
}

// NewsShared is a signal that its project wants in the API.
type NewsShared struct{ ent.Schema }

func (NewsShared) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

func (NewsShared) Fields() []ent.Field { return []ent.Field{field.String("text")} }

func (NewsShared) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.QueryField(), entgql.RelayConnection()}
}

// LetterReceived is an inbox.
type LetterReceived struct{ ent.Schema }

func (LetterReceived) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }
