package mixin

import "entgo.io/ent/schema"

// notInGraphQL keeps a signal, or a field of one, out of the GraphQL API that ent's
// extension entgql generates: by default nobody should query, filter or create
// messages and their failures there.
//
// It replaces entgql.Skip(entgql.SkipAll), because importing entgql would link a
// code generator into every program. ent identifies annotations by their name and
// their JSON.
type notInGraphQL struct {
	Skip int // a set of flags
}

// skipAll is entgql.SkipAll: six flags, for a type, its enums, its orders, its
// filters, and its inputs for creating and updating.
const skipAll = 1<<6 - 1

// Name implements ent's Annotation.
func (notInGraphQL) Name() string { return "EntGQL" }

// Merge implements ent's Merger. An annotation of the schema's own wins, because it
// asks for the signal to be in the API.
func (notInGraphQL) Merge(other schema.Annotation) schema.Annotation { return other }

var _ schema.Merger = notInGraphQL{}
