package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// generator is what generates the code of a schema.
type generator struct {
	dirs
	entc string // the file that calls entc.Generate; it may be yet to write
	run  string // the folder that entc.go runs in; empty if the text doesn't tell

	line    *goLine  // the go:generate line that runs it, if there is one
	command *entLine // line, if what it runs is ent's own command and not entc.go
	twice   []goLine // more lines that run ent's own command on the schema

	program *entcProgram // nil while entc.go is yet to write
	unsure  bool         // whether entc generates this schema
}

// entLine is a line that runs ent's own command.
type entLine struct {
	goLine
	settings settings
	err      error // why the settings can't be read
}

// findGenerator looks for what generates the code of a schema: first among the lines
// with go:generate of the module, then in the place where ent puts it.
func findGenerator(d dirs) (*generator, error) {
	root := moduleRoot(d.ent)
	if root == "" {
		return nil, fmt.Errorf("%s is not in a Go module; create one with 'go mod init'", d.ent)
	}
	pkg, err := importPath(d.schema)
	if err != nil {
		return nil, err
	}
	module, err := modulePath(root)
	if err != nil {
		return nil, err
	}
	s := search{dirs: d, root: root, module: module, pkg: pkg}
	if err := walkModule(root, s.visit); err != nil {
		return nil, fmt.Errorf("look for the code generator: %w", err)
	}
	s.sortLines()
	return s.result(), nil
}

// search is what was found in a module.
type search struct {
	dirs
	root   string // the folder of the module
	module string // its path
	pkg    string // import path of the schema

	lines    []goLine
	programs []string // files that import entc

	certain  []*generator // lines that generate this schema by entc
	unsure   []*generator // lines that may do so
	commands []*entLine   // lines that do so by ent's own command
}

func (s *search) visit(file string, content []byte) {
	s.lines = append(s.lines, goLines(file, string(content))...)
	if bytes.Contains(content, []byte(strconv.Quote(entcPath))) {
		s.programs = append(s.programs, file)
	}
}

// sortLines finds the lines that concern the schema.
func (s *search) sortLines() {
	for _, line := range s.lines {
		if args, ok := line.entArgs(); ok {
			settings, err := parseSettings(args)
			if s.isSchema(line.dir(), settings.schema) {
				s.commands = append(s.commands, &entLine{line, settings, err})
			}
			continue
		}
		targets, _ := line.runs()
		files := goFilesOf(line.dir(), targets, s.root, s.module)
		g := &generator{dirs: s.dirs, line: &line, run: line.dir()}
		if len(files) == 1 && samePath(files[0], s.entcFile()) && !exists(files[0]) {
			g.entc = files[0]
			s.certain = append(s.certain, g)
			continue
		}
		g.program = parseEntc(files)
		if g.program == nil {
			continue
		}
		g.entc = g.program.file
		switch is, known := s.generates(g.program, line.dir()); {
		case is:
			s.certain = append(s.certain, g)
		case !known && samePath(g.entc, s.entcFile()):
			s.certain = append(s.certain, g) // in the place where ent puts it
		case !known:
			g.unsure = true
			s.unsure = append(s.unsure, g)
		}
	}
}

// result chooses among what was found.
func (s *search) result() *generator {
	g := &generator{dirs: s.dirs, entc: s.entcFile()}
	switch loose := s.loose(); {
	case len(s.certain) > 0:
		g = s.certain[0]
		for _, line := range s.commands {
			g.twice = append(g.twice, line.goLine)
		}
		return g
	case len(s.commands) > 0:
		g.command, g.line, g.run = s.commands[0], &s.commands[0].goLine, s.commands[0].dir()
		for _, line := range s.commands[1:] {
			g.twice = append(g.twice, line.goLine)
		}
	case loose != nil:
		return loose
	case len(s.unsure) > 0:
		return s.unsure[0]
	default:
		g.run = s.dirs.ent
	}
	if exists(g.entc) {
		g.program = parseEntc([]string{g.entc})
	}
	return g
}

// loose returns a program that generates the schema and that no line runs.
func (s *search) loose() *generator {
	if p := parseEntc([]string{s.entcFile()}); p != nil {
		g := &generator{dirs: s.dirs, entc: p.file, program: p}
		if is, known := s.generates(p, s.dirs.ent); is || !known {
			g.run = s.dirs.ent
		}
		return g
	}
	for _, file := range s.programs {
		p := parseEntc([]string{file})
		if p == nil {
			continue
		}
		for _, dir := range []string{filepath.Dir(file), ".", s.root} {
			if is, _ := s.generates(p, dir); is {
				return &generator{dirs: s.dirs, entc: file, program: p}
			}
		}
	}
	return nil
}

// generates reports whether a program that runs in a folder generates the
// schema; known is false if its text doesn't tell.
func (s *search) generates(p *entcProgram, dir string) (is, known bool) {
	paths, known := p.schemas()
	for _, path := range paths {
		if s.isSchema(dir, path) {
			return true, true
		}
	}
	return false, known
}

// isSchema reports whether a command that runs in a folder means the schema by
// that argument, a path or an import path.
func (s *search) isSchema(dir, arg string) bool {
	if arg == s.pkg {
		return true
	}
	isPath := strings.HasPrefix(arg, ".") || filepath.IsAbs(arg) // else ent takes it for an import path
	return isPath && sameFolder(under(dir, filepath.FromSlash(arg)), s.schema)
}

func (s *search) entcFile() string { return filepath.Join(s.dirs.ent, "entc.go") }

func samePath(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// generated returns the folder and the import path of the generated package. ok
// is false if the text of entc.go doesn't tell.
func (g *generator) generated() (dir, pkg string, ok bool, err error) {
	target := ""
	switch {
	case g.command != nil && g.command.settings.target != "":
		target = under(g.run, g.command.settings.target)
	case g.program != nil:
		var known [2]bool
		target, known[0] = g.program.field("Target")
		pkg, known[1] = g.program.field("Package")
		if !known[0] || !known[1] || target != "" && g.run == "" && pkg == "" {
			return "", "", false, nil
		}
		if target != "" {
			target = under(g.run, target)
		}
	}
	if target == "" {
		target = g.dirs.ent
	}
	if pkg == "" {
		pkg, err = importPath(target)
	}
	return target, pkg, err == nil, err
}
