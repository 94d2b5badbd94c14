package codegen

import (
	"fmt"

	"entgo.io/ent/entc/gen"
)

// checkNames refuses names of the project that the generated ones would
// collide with.
func checkNames(g *gen.Graph, signals []*signal) (errs []error) {
	generated := []string{"SignalSenders", "NewSignalBus", "WithSignalBus"}
	plural := gen.Funcs["plural"].(func(string) string)
	for _, t := range g.Nodes {
		for _, name := range generated {
			switch name {
			case t.Name:
				errs = append(errs, fmt.Errorf("entsignal: schema %s: the name is taken by the generated %s; rename the schema", t.Name, name))
			case plural(t.Name):
				errs = append(errs, fmt.Errorf("entsignal: schema %s: ent's name for many of them is taken by the generated %s; rename the schema", t.Name, name))
			}
		}
	}
	senders := make(map[string]string)
	for _, s := range signals {
		for _, field := range []string{s.Name, s.Name + "With"} {
			if other, ok := senders[field]; ok {
				errs = append(errs, fmt.Errorf("entsignal: schemas %s and %s both need the field %s of the generated SignalSenders; rename one", other, s.Name, field))
			}
			senders[field] = s.Name
		}
		for _, f := range s.MutationFields() {
			if f.BuilderField() == "entsignalGroup" {
				errs = append(errs, fmt.Errorf("entsignal: schema %s: field %q: the name is taken by generated code; rename the field", s.Name, f.Name))
			}
		}
	}
	return errs
}
