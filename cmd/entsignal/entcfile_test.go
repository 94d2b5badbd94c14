package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entcWith returns an entc.go with that body of main.
func entcWith(body string) string {
	return "//go:build ignore\n\npackage main\n\nimport (\n\t\"log\"\n\n\t\"entgo.io/ent/entc\"\n\t\"entgo.io/ent/entc/gen\"\n)\n\nfunc main() {\n" + body + "}\n"
}

func TestPatchEntcAddsTheExtension(t *testing.T) {
	const made = "\tsignalBus, err := codegen.NewExtension()\n\tif err != nil {\n\t\tlog.Fatalf(\"creating the extension for signals: %v\", err)\n\t}\n"
	for name, c := range map[string]struct{ body, want string }{
		"err of the if": {
			body: "\tif err := entc.Generate(\"./schema\", &gen.Config{}); err != nil {\n\t\tlog.Fatal(err)\n\t}\n",
			want: made + "\tif err := entc.Generate(\"./schema\", &gen.Config{}, entc.Extensions(signalBus)); err != nil {\n\t\tlog.Fatal(err)\n\t}\n",
		},
		"err of main": {
			body: "\terr := entc.Generate(\"./schema\", &gen.Config{})\n\tlog.Println(err)\n",
			want: made + "\terr = entc.Generate(\"./schema\", &gen.Config{}, entc.Extensions(signalBus))\n\tlog.Println(err)\n",
		},
		"another extension": {
			body: "\tex, err := newOther()\n\tlog.Fatal(entc.Generate(\"./schema\", &gen.Config{}, entc.Extensions(ex), entc.BuildTags(\"x\")))\n",
			want: "\tex, err := newOther()\n" + made + "\tlog.Fatal(entc.Generate(\"./schema\", &gen.Config{}, entc.Extensions(ex, signalBus), entc.BuildTags(\"x\")))\n",
		},
		"a list of options": {
			body: "\topts := []entc.Option{entc.BuildTags(\"x\")}\n\tlog.Fatal(entc.Generate(\"./schema\", &gen.Config{}, opts...))\n",
			want: "\topts := []entc.Option{entc.BuildTags(\"x\")}\n" + made + "\tlog.Fatal(entc.Generate(\"./schema\", &gen.Config{}, append(opts, entc.Extensions(signalBus))...))\n",
		},
		"call over several lines": {
			body: "\tlog.Fatal(entc.Generate(\n\t\t\"./schema\",\n\t\t&gen.Config{}, // as it is\n\t))\n",
			want: made + "\tlog.Fatal(entc.Generate(\n\t\t\"./schema\",\n\t\t&gen.Config{}, entc.Extensions(signalBus), // as it is\n\t))\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := patchEntc([]byte(entcWith(c.body)))
			require.NoError(t, err)
			want := strings.Replace(entcWith(c.want), "entc/gen\"\n", "entc/gen\"\n\t\"github.com/entsignal/signalbus/entsignal/codegen\"\n", 1)
			require.Equal(t, want, string(got))
			again, err := patchEntc(got)
			require.NoError(t, err)
			require.Nil(t, again)
		})
	}
}

func TestPatchEntcImportsWhatIsMissing(t *testing.T) {
	got, err := patchEntc([]byte("package main\n\nimport e \"entgo.io/ent/entc\"\nimport \"entgo.io/ent/entc/gen\"\n\nfunc main() {\n\tpanic(e.Generate(\"./schema\", &gen.Config{}))\n}\n"))
	require.NoError(t, err)
	require.Contains(t, string(got), "\nimport \"github.com/entsignal/signalbus/entsignal/codegen\"\nimport \"log\"\n")
	require.Contains(t, string(got), "&gen.Config{}, e.Extensions(signalBus))")
}

func TestPatchEntcKeepsTheLayoutOfAFileThatIsNotFormatted(t *testing.T) {
	src := strings.Replace(entcWith("\tlog.Fatal(entc.Generate(\"./schema\", &gen.Config{}))\n"), "func main() {", "var  x  =  1\nfunc main() {", 1)
	got, err := patchEntc([]byte(src))
	require.NoError(t, err)
	require.Contains(t, string(got), "var  x  =  1\nfunc main() {\n\tsignalBus, err := ")
}

func TestPatchEntcLeavesOtherFilesAlone(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"no call":           {entcWith("\tlog.Print(gen.Config{}, entc.Generate)\n"), "exactly one call of entc.Generate"},
		"two calls":         {entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n\tlog.Print(entc.Generate(\"./b\", &gen.Config{}))\n"), "exactly one call of entc.Generate"},
		"call elsewhere":    {entcWith("}\n\nfunc run() {\n\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n"), "its main doesn't call entc.Generate"},
		"err declared late": {entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n\terr := run()\n"), "declares err after"},
		"var err late":      {entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n\tvar err error\n"), "declares err by var"},
		"another log":       {strings.Replace(entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n"), `"log"`, `"example.com/log"`, 1), "the name log"},
		"another codegen":   {strings.Replace(entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n"), `"log"`, "\"log\"\n\t\"example.com/codegen\"", 1), "uses the names"},
		"unused extension":  {strings.Replace(entcWith("\tlog.Print(entc.Generate(\"./a\", &gen.Config{}))\n"), `"log"`, "\"log\"\n\t_ \"github.com/entsignal/signalbus/entsignal/codegen\"", 1), "doesn't use it"},
		"no entc":           {"package main\n\nfunc main() {}\n", "doesn't import entgo.io/ent/entc"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := patchEntc([]byte(c.src))
			var not notAsEnt
			require.ErrorAs(t, err, &not)
			require.Contains(t, err.Error(), c.want)
			require.Nil(t, got)
		})
	}
}
