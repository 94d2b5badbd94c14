// Package schema has an inbox with an edge that Once has no value for.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

func (Received) Edges() []ent.Edge {
	return []ent.Edge{edge.To("tenant", Tenant.Type).Unique().Required()}
}

type Tenant struct{ ent.Schema }
