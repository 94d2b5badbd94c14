package codegen

import (
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/entc/gen"
)

// generated are the exported names of the generated file.
var generated = []string{"SignalSenders", "NewSignalBus", "WithSignalBus", "InTx"}

// generatedMethod is the method that the client gets, which has a field for
// each entity.
const generatedMethod = "Atomic"

// generatedFile is the generated file without its ending.
const generatedFile = "signal_bus"

// imported are names of imports of the generated file that ent's own files
// don't have.
var imported = []string{"entsignal", "signalhooks", "stdsql"}

// checkNames rejects names of the project that collide with generated ones.
func checkNames(g *gen.Graph, signals []*signal) (errs []error) {
	for _, t := range g.Nodes {
		errs = append(errs, checkTypeName(t.Name)...)
		if !t.HasOneFieldID() {
			continue
		}
		if pkg := t.ID.Type.PkgName; t.ID.Type.PkgPath != "" && slices.Contains(imported, pkg) {
			errs = append(errs, fmt.Errorf("entsignal: schema %s: field %q: the package of its type is named %s, like one that the generated code imports; use a type from another package", t.Name, t.ID.Name, pkg))
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
	}
	return errs
}

// checkTypeName rejects the name of an entity if its generated code would have the
// name of something in the generated bus, or the name of its file.
func checkTypeName(name string) (errs []error) {
	plural := gen.Funcs["plural"].(func(string) string)
	for _, taken := range generated {
		switch taken {
		case name:
			errs = append(errs, fmt.Errorf("entsignal: schema %s: the name is taken by the generated %s; rename the schema", name, taken))
		case plural(name):
			errs = append(errs, fmt.Errorf("entsignal: schema %s: ent's plural of the name is taken by the generated %s; rename the schema", name, taken))
		}
	}
	if name == generatedMethod {
		errs = append(errs, fmt.Errorf("entsignal: schema %s: the name is taken by the generated Client.%s; rename the schema", name, generatedMethod))
	}
	if strings.EqualFold(name, generatedFile) {
		errs = append(errs, fmt.Errorf("entsignal: schema %s: its file %s.go is taken by the generated bus; rename the schema", name, generatedFile))
	}
	return errs
}
