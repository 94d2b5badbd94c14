package main

import (
	"bytes"
	"go/format"
	"path/filepath"
	"strings"
	"text/template"
)

// newEntc plans the code generator of a project that had none. It does what ent's
// own command did by its flags.
func newEntc(g *generator) (step, error) {
	data := struct{ Schema, Config, Options, Field string }{Schema: g.schemaOf(g.run), Config: "&gen.Config{}", Options: "entc.Extensions(signalBus)"}
	if g.command != nil {
		config, options, why, err := g.flags()
		if err != nil {
			return step{}, err
		}
		if why != "" {
			return step{path: g.entc, do: byHand, note: why + "; write the file yourself, with", lines: entcLines}, nil
		}
		data.Config = "&gen.Config{" + strings.Join(config, ", ") + "}"
		if strings.Contains(data.Config, "field.") {
			data.Field = "entgo.io/ent/schema/field"
		}
		if len(options) > 0 {
			data.Options = "\n" + strings.Join(options, ",\n") + ",\n" + data.Options + ",\n"
		}
	}
	tmpl, err := template.New("entc").Parse(entcTemplate)
	if err != nil {
		return step{}, err
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, data); err != nil {
		return step{}, err
	}
	content, err := format.Source(b.Bytes())
	return step{path: g.entc, do: toCreate, content: content}, err
}

// flags returns the fields of gen.Config and the options of entc.Generate that do
// what the flags of ent's own command did, or why there are none.
func (g *generator) flags() (config, options []string, why string, err error) {
	if g.command.err != nil {
		return nil, nil, "the line that runs ent has flags that init doesn't know (" + g.command.err.Error() + ")", nil
	}
	pkg := ""
	if g.command.settings.target != "" {
		if pkg, err = importPath(under(g.run, g.command.settings.target)); err != nil {
			return nil, nil, "", err
		}
	}
	if config, why = g.command.settings.config(pkg); why == "" {
		options, why = g.command.settings.options()
	}
	return config, options, why, nil
}

// schemaOf returns the path of the schema as seen from a folder, as ent takes it.
func (g *generator) schemaOf(dir string) string {
	rel, err := relative(dir, g.schema)
	if err != nil {
		return filepath.ToSlash(g.schema)
	}
	return filepath.ToSlash(dotted(rel))
}

const entcTemplate = `//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	{{- with .Field }}
	"{{ . }}"
	{{- end }}
	"github.com/entsignal/signalbus/entsignal/codegen"
)

func main() {
	signalBus, err := codegen.NewExtension()
	if err != nil {
		log.Fatalf("creating the extension for signals: %v", err)
	}
	if err := entc.Generate({{ printf "%q" .Schema }}, {{ .Config }}, {{ .Options }}); err != nil {
		log.Fatalf("running ent codegen: %v", err)
	}
}
`

// entcLines is what a user adds to an entc.go of their own.
const entcLines = `import "github.com/entsignal/signalbus/entsignal/codegen"

signalBus, err := codegen.NewExtension()
if err != nil {
	log.Fatalf("creating the extension for signals: %v", err)
}
// and to the options of entc.Generate:
entc.Extensions(signalBus)
`
