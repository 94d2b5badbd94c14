package codegen

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"text/template"

	"entgo.io/ent/entc/gen"
)

// fitting are the versions of ent whose code the generated bus fits.
const fitting = "v0.14.4 to v0.14.6, or the layout of ent's change #4493, where mutations are in packages of their own"

// generate makes the package. If the generated bus doesn't fit the code that ent
// has generated it returns an error, and leaves the package as it was.
func (ex *Extension) generate(g *gen.Graph, next gen.Generator) error {
	before, err := snapshotOf(g.Target)
	if err != nil {
		return fmt.Errorf("entsignal: %w", err)
	}
	err = next.Generate(g)
	var ours template.ExecError
	switch {
	case err == nil:
		err = checkFit(g)
	case errors.As(err, &ours) && ex.template.Lookup(ours.Name) != nil:
		err = ours
	default:
		return err
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("entsignal: the signal bus does not fit the code that %s generates: %w; expected ent %s. The generated package is left as it was", entVersion(), err, fitting)
	return errors.Join(err, before.restore(), restoreRuntime(g.Target))
}

// entVersion names the ent that generates.
func entVersion() string {
	const ent = "entgo.io/ent"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "this ent"
	}
	for _, m := range info.Deps {
		switch {
		case m.Path != ent:
		case m.Replace == nil:
			return "ent " + m.Version
		case m.Replace.Path == ent:
			return "ent " + m.Replace.Version
		default:
			return "the ent in " + m.Replace.Path
		}
	}
	return "this ent"
}

// added is in each line that the templates add to ent's files, but for an import.
var added = regexp.MustCompile(`\*entsignal(Client|Row)\b|\b(newEntsignalClient|entsignalClients|entsignalPrepare)\b`)

// checkFit returns the first error of type in the generated bus, or in what the
// templates add to ent's files, or says which function of the bus those don't
// call. A compiler would find the former; without the latter, signals would stay
// pending without a word.
func checkFit(g *gen.Graph) error {
	bus := filepath.Join(g.Target, generatedFile+".go")
	p := newPackages(g.Target, g.Package)
	checked, err := p.check(g.Package)
	if err != nil {
		return err
	}
	for _, err := range p.errs {
		if at := p.files.Position(err.Pos); at.Filename == bus || added.Match(p.line(at)) {
			name, _ := filepath.Rel(g.Target, at.Filename)
			return fmt.Errorf("%s:%d: %s", name, at.Line, err.Msg)
		}
	}
	for _, f := range checked.functions(bus) {
		switch f.Name() {
		case "newEntsignalClient", "entsignalPrepare":
			if !checked.calls(f, bus) {
				return fmt.Errorf("no file of ent calls %s", checked.name(f))
			}
		}
	}
	return nil
}
