package codegen

import (
	"reflect"

	"entgo.io/ent/entc/gen"
)

// graphQL is the name under which ent carries the annotations of the extension
// entgql.
const graphQL = "EntGQL"

// hideEdges gives each edge that leads to a signal the annotation by which
// mixin.Signal keeps the signal out of a GraphQL API. Without it an input would
// still name the ids at the other end. It leaves alone edges with an annotation
// of their own, and signals that the project wants in its API.
func hideEdges(g *gen.Graph, signals []*signal) {
	hidden := make(map[string]any)
	for _, s := range signals {
		if a, ok := s.Annotations[graphQL]; ok && isHidden(a) {
			hidden[s.Name] = a
		}
	}
	for _, n := range g.Nodes {
		for _, e := range n.Edges {
			a, ok := hidden[e.Type.Name]
			if _, own := e.Annotations[graphQL]; !ok || own {
				continue
			}
			if e.Annotations == nil {
				e.Annotations = make(gen.Annotations)
			}
			e.Annotations[graphQL] = a
		}
	}
}

// isHidden reports whether an annotation, in the form in which ent loads it, is
// the one of mixin.Signal: flags that skip something, and nothing else.
func isHidden(annotation any) bool {
	fields, ok := annotation.(map[string]any)
	return ok && len(fields) == 1 && fields["Skip"] != nil && !reflect.ValueOf(fields["Skip"]).IsZero()
}
