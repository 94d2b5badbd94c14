package mixin

import "entgo.io/ent/schema"

// notInGraphQL keeps a signal, or a field of one, out of the GraphQL API that
// ent's extension entgql makes of a schema: a message and its failures are
// nobody's to query, filter or create there, unless the project asks for it.
//
// It stands for entgql.Skip(entgql.SkipAll), without importing entgql, which
// would link a code generator into every program. ent knows annotations by
// their name and their JSON.
type notInGraphQL struct {
	Skip int // a set of flags
}

// skipAll is entgql.SkipAll: six flags, for a type, its enums, its orders, its
// filters, and the inputs that create and update it.
const skipAll = 1<<6 - 1

// Name implements ent's Annotation.
func (notInGraphQL) Name() string { return "EntGQL" }

// Merge implements ent's Merger. An annotation of the schema's own wins: who
// gives a signal one of entgql's asks for it.
func (notInGraphQL) Merge(other schema.Annotation) schema.Annotation { return other }

var _ schema.Merger = notInGraphQL{}
