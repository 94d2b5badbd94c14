package codegen

import (
	"reflect"

	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/internal/annotation"
)

// graphQL is the name of the annotations of the extension entgql.
const graphQL = "EntGQL"

// hideEdges hides each edge to a signal or an inbox from a GraphQL API, as their
// mixins hide them. Without it, an input would still contain the ids at the other end. It
// doesn't change edges with an annotation of their own, nor edges to entities that
// the project wants in its API.
func hideEdges(g *gen.Graph) {
	hidden := make(map[string]any)
	for _, n := range g.Nodes {
		_, isSignal := n.Annotations[annotation.Name]
		_, isInbox := n.Annotations[annotation.InboxName]
		if a, ok := n.Annotations[graphQL]; ok && (isSignal || isInbox) && isHidden(a) {
			hidden[n.Name] = a
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

// isHidden reports whether an annotation, as ent loads it, is the one of
// mixin.Signal and mixin.Inbox: only flags that skip something.
func isHidden(annotation any) bool {
	fields, ok := annotation.(map[string]any)
	return ok && len(fields) == 1 && fields["Skip"] != nil && !reflect.ValueOf(fields["Skip"]).IsZero()
}
