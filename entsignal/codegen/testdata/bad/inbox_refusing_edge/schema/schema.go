// Package schema has an inbox whose rows a foreign key would keep.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

func (Received) Edges() []ent.Edge { return []ent.Edge{edge.To("orders", Order.Type)} }

type Order struct{ ent.Schema }

func (Order) Edges() []ent.Edge {
	return []ent.Edge{edge.From("received", Received.Type).Ref("orders").Unique().Required()}
}
