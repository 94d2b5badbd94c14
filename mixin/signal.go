// Package mixin has the mixins for ent schemas: [Signal] makes an entity a signal,
// [Retry] records its failures, and [Trace] when and in which trace it was recorded.
// [Inbox] is for a consumer.
package mixin

import (
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/mixin"

	"github.com/entsignal/signalbus/internal/annotation"
)

// Signal makes an entity a signal: a message that is recorded in a transaction,
// sent over the message bus after the commit, and then deleted. It adds annotations
// only: no field, no hook and no index.
//
// Each row of such an entity is deleted as soon as it is sent. So don't add the
// mixin to an entity of your business, such as Order: your orders would be gone.
// Add an entity for the message, such as OrderPlaced, and create one in the
// transaction that creates the order.
//
//	func (OrderPlaced) Mixin() []ent.Mixin {
//		return []ent.Mixin{mixin.Signal{}}
//	}
//
// With ent's extension entgql, a signal is not part of the GraphQL API unless its
// schema has an entgql annotation of its own.
type Signal struct{ mixin.Schema }

// Annotations implements ent's Mixin.
func (Signal) Annotations() []schema.Annotation {
	return []schema.Annotation{annotation.Signal{Signal: true}, notInGraphQL{Skip: skipAll}}
}
