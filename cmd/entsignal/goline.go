package main

import (
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

const generatePrefix = "//go:generate "

// goLine is a go:generate line.
type goLine struct {
	file   string
	number int    // of the line in the file
	text   string // without its end
}

// dir returns the folder that the line's command runs in.
func (l goLine) dir() string { return filepath.Dir(l.file) }

// goLines returns the go:generate lines of a file.
func goLines(file, content string) (found []goLine) {
	number := 0
	for line := range strings.Lines(content) {
		number++
		if strings.HasPrefix(line, generatePrefix) {
			found = append(found, goLine{file, number, strings.TrimRight(line, "\r\n")})
		}
	}
	return found
}

// words splits the line's command as go generate does: at blanks that are in no
// double quotes.
func (l goLine) words() (words []string) {
	rest := strings.TrimPrefix(l.text, generatePrefix)
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return words
		}
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && rest[0] == '"' {
			word, _ := strconv.Unquote(quoted) // QuotedPrefix has checked it
			words, rest = append(words, word), rest[len(quoted):]
			continue
		}
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		words, rest = append(words, rest[:end]), rest[end:]
	}
}

// runs returns what a "go run" line runs, Go files or a package, and with which
// arguments. A line that runs something else has no targets.
func (l goLine) runs() (targets, args []string) {
	words := l.words()
	if len(words) < 3 || words[0] != "go" || words[1] != "run" {
		return nil, nil
	}
	words = withoutFlags(words[2:])
	n := slices.IndexFunc(words, func(w string) bool { return !strings.HasSuffix(w, ".go") })
	switch {
	case n < 0:
		return words, nil
	case n == 0:
		return words[:1], words[1:]
	default:
		return words[:n], words[n:]
	}
}

// withoutFlags removes the flags of the go command in front of its arguments.
func withoutFlags(words []string) []string {
	valued := []string{"mod", "modfile", "tags", "overlay", "exec", "ldflags", "gcflags", "p"}
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		name := strings.TrimLeft(words[0], "-")
		words = words[1:]
		if slices.Contains(valued, name) && len(words) > 0 {
			words = words[1:]
		}
	}
	return words
}

// entArgs returns the arguments of "ent generate", if the line runs it: by "go
// run", as a tool of the module, or as a program of the machine.
func (l goLine) entArgs() (args []string, ok bool) {
	words := l.words()
	targets, rest := l.runs()
	switch {
	case len(targets) == 1:
		pkg, _, _ := strings.Cut(targets[0], "@")
		ok = pkg == "entgo.io/ent/cmd/ent" || pkg == "entgo.io/ent/cmd/entc"
	case len(words) > 2 && words[0] == "go" && words[1] == "tool":
		words = withoutFlags(words[2:])
		fallthrough
	case len(words) > 0:
		ok, rest = path.Base(words[0]) == "ent" || path.Base(words[0]) == "entc", words[1:]
	}
	if !ok || len(rest) == 0 || rest[0] != "generate" {
		return nil, false
	}
	return rest[1:], true
}

// settings are what "ent generate" is told by its flags and its argument.
// Paths are relative to the folder of the line.
type settings struct {
	schema    string
	target    string
	header    string
	storage   string
	idType    string
	features  []string
	templates []string
}

// parseSettings reads the arguments of "ent generate". The schema is that of the
// last argument if there is an error.
func parseSettings(args []string) (s settings, err error) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&s.target, "target", "", "")
	f.StringVar(&s.header, "header", "", "")
	f.StringVar(&s.storage, "storage", "sql", "")
	f.StringVar(&s.idType, "idtype", "int", "")
	f.StringSliceVar(&s.features, "feature", nil, "")
	f.StringSliceVar(&s.templates, "template", nil, "")
	if len(args) > 0 {
		s.schema = args[len(args)-1]
	}
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() == 1 {
		s.schema = f.Arg(0)
	}
	return s, nil
}

// idTypes are the values of --idtype.
var idTypes = map[string]string{"int64": "field.TypeInt64", "uint": "field.TypeUint", "uint64": "field.TypeUint64", "string": "field.TypeString"}

// config returns the fields of gen.Config that do what the flags did; pkg is the
// import path of the target. why says what no field can do.
func (s settings) config(pkg string) (fields []string, why string) {
	if s.storage != "sql" {
		return nil, "it has --storage " + s.storage + "; signals need sql"
	}
	if s.target != "" {
		fields = append(fields, "Target: "+strconv.Quote(s.target), "Package: "+strconv.Quote(pkg))
	}
	if s.header != "" {
		fields = append(fields, "Header: "+strconv.Quote(s.header))
	}
	if s.idType != "int" {
		if idTypes[s.idType] == "" {
			return nil, "it has --idtype " + s.idType + ", which ent doesn't know"
		}
		fields = append(fields, "IDType: &field.TypeInfo{Type: "+idTypes[s.idType]+"}")
	}
	return fields, ""
}

// options returns the options of entc.Generate that do what the flags did.
func (s settings) options() (options []string, why string) {
	if len(s.features) > 0 {
		quoted := make([]string, len(s.features))
		for i, name := range s.features {
			quoted[i] = strconv.Quote(name)
		}
		options = append(options, "entc.FeatureNames("+strings.Join(quoted, ", ")+")")
	}
	for _, template := range s.templates {
		kind, files, ok := strings.Cut(template, "=")
		if !ok {
			kind, files = "dir", template
		}
		name := map[string]string{"dir": "TemplateDir", "file": "TemplateFiles", "glob": "TemplateGlob"}[kind]
		if name == "" {
			return nil, "it has --template " + template + ", which ent doesn't know"
		}
		options = append(options, "entc."+name+"("+strconv.Quote(files)+")")
	}
	return options, ""
}
