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

// fitting lists the versions of ent whose code the generated bus fits.
const fitting = "v0.14.4 to v0.14.6, or the layout of ent's change #4493, where mutations are in packages of their own"

// generate generates the package. If the generated bus doesn't fit ent's generated
// code, it returns an error and restores the package.
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
	err = fmt.Errorf("entsignal: the signal bus does not fit the code that %s generates: %w; expected ent %s. The generated package was not changed", entVersion(), err, fitting)
	return errors.Join(err, before.restore(), restoreRuntime(g.Target))
}

// entVersion returns the version of ent that generates.
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

// added matches the lines that the templates add to ent's files, except for
// imports.
var added = regexp.MustCompile(`\*entsignal(Client|Row)\b|\b(newEntsignalClient|entsignalClients|entsignalPrepare)\b`)

// checkFit returns the first type error in the generated bus or in what the
// templates add to ent's files. It also returns an error if those additions don't
// call a function of the bus. A compiler would find the type errors; without a
// call, signals would silently stay pending.
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
