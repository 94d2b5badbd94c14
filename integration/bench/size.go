package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

//go:embed size/*.tmpl
var sizeTemplates embed.FS

// modulePath is the module that this package is in.
const modulePath = "github.com/entsignal/signalbus/integration"

// fact is a figure without a floor.
type fact struct{ name, value string }

// project is a small ent project that is generated and built to see what the
// library adds to it.
type project struct {
	signals int
	library bool // else the signals are plain entities
}

// generation is what the generation of a project gave.
type generation struct {
	bytes   int64 // of the generated code
	millis  int   // that it took
	program int64 // bytes of the stripped program that uses it
}

// sizes measures what the library adds to the code and the programs of a
// project. The projects are made in a directory within the module, because
// they need what it requires.
func sizes(ctx context.Context, module string) ([]fact, error) {
	const many = 11
	made := make(map[project]generation)
	for _, p := range []project{{1, false}, {1, true}, {many, false}, {many, true}} {
		g, err := p.make(ctx, module)
		if err != nil {
			return nil, fmt.Errorf("project with %d signals: %w", p.signals, err)
		}
		made[p] = g
	}
	added := func(signals int) int64 {
		return made[project{signals, true}].bytes - made[project{signals, false}].bytes
	}
	perSignal := (added(many) - added(1)) / (many - 1)
	with, without := made[project{many, true}], made[project{many, false}]
	small, plain := made[project{1, true}], made[project{1, false}]
	return []fact{
		{"generated code that the library adds for each signal", fmt.Sprintf("%.1f KiB", kib(perSignal))},
		{"and once for a project", fmt.Sprintf("%.1f KiB", kib(added(1)-perSignal))},
		{fmt.Sprintf("time to generate a project of %d signals", many), fmt.Sprintf("%d ms, without the library %d ms", with.millis, without.millis)},
		{"stripped program of one signal, its sender without a broker", fmt.Sprintf("%.0f KiB, without the library %.0f KiB: %.0f KiB more", kib(small.program), kib(plain.program), kib(small.program-plain.program))},
	}, nil
}

func kib(n int64) float64 { return float64(n) / 1024 }

// make writes the project, generates and builds it.
func (p project) make(ctx context.Context, module string) (g generation, err error) {
	dir, err := os.MkdirTemp(module, "size")
	if err != nil {
		return g, err
	}
	defer os.RemoveAll(dir)
	if err := p.write(dir); err != nil {
		return g, err
	}
	out, err := goTool(ctx, filepath.Join(dir, "ent"), "run", "entc.go")
	if err != nil {
		return g, err
	}
	if g.millis, err = strconv.Atoi(strings.TrimSpace(out)); err != nil {
		return g, err
	}
	program := filepath.Join(dir, "program")
	if _, err := goTool(ctx, dir, "build", "-ldflags=-s -w", "-o", program, "."); err != nil {
		return g, err
	}
	built, err := os.Stat(program)
	if err != nil {
		return g, err
	}
	g.program = built.Size()
	g.bytes, err = generated(filepath.Join(dir, "ent"))
	return g, err
}

// write writes the files of the project that are not generated.
func (p project) write(dir string) error {
	data := struct {
		Library bool
		Package string
		Names   []string
	}{Library: p.library, Package: modulePath + "/" + filepath.Base(dir) + "/ent"}
	for i := range p.signals {
		data.Names = append(data.Names, fmt.Sprintf("Event%02d", i))
	}
	files, err := template.ParseFS(sizeTemplates, "size/*.tmpl")
	if err != nil {
		return err
	}
	for name, path := range map[string]string{"schema.go": "ent/schema/schema.go", "entc.go": "ent/entc.go", "main.go": "main.go"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var content bytes.Buffer
		if err := files.ExecuteTemplate(&content, name+".tmpl", data); err != nil {
			return err
		}
		if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// generated returns the bytes of the generated files below a directory.
func generated(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.HasPrefix(content, []byte("// Code generated")) {
			sum += int64(len(content))
		}
		return err
	})
	return sum, err
}

// goTool runs the go command and returns its standard output.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.String(), nil
}
