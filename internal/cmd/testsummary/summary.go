package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is what `go test -json` prints on each line; see `go doc test2json`,
// and `go help buildjson` for those of the compiler.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events, in place of Package
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string // of a package's fail event: the ImportPath of the build
}

// tally counts what ended how; the zero value is ready to use.
type tally struct{ passed, failed, skipped int }

func (t *tally) add(o tally) {
	t.passed += o.passed
	t.failed += o.failed
	t.skipped += o.skipped
}

func (t tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
}

// summary follows the runs of go test, one module after the other: begin, read,
// end for each, then finish.
type summary struct {
	out      io.Writer
	total    tally
	failures []string // repeated at the end, where they are looked for

	module   string
	ofModule tally
	packages map[string]*pkg
	builds   map[string]*strings.Builder // compiler output by ImportPath
}

// pkg is a package whose tests are running.
type pkg struct {
	tally
	output  strings.Builder             // outside of any test
	running map[string]*strings.Builder // output of the tests that have not ended
	order   []string                    // their names, as started
}

func newSummary(out io.Writer) *summary { return &summary{out: out} }

func (s *summary) begin(module string) {
	s.module = module
	s.ofModule = tally{}
	s.packages = map[string]*pkg{}
	s.builds = map[string]*strings.Builder{}
}

// read takes one run's events to their end. What cut them short is for end to
// tell.
func (s *summary) read(r io.Reader) {
	lines := bufio.NewReader(r) // not a Scanner: a test may print lines of any length
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				// Not from go test; somebody meant it to be read.
				fmt.Fprintf(s.out, "%s\n", strings.TrimSuffix(string(line), "\n"))
			} else {
				s.event(e)
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *summary) event(e event) {
	switch {
	case e.Action == "build-output":
		if s.builds[e.ImportPath] == nil {
			s.builds[e.ImportPath] = &strings.Builder{}
		}
		s.builds[e.ImportPath].WriteString(e.Output)
	case e.Package == "":
		// build-fail: the packages that it breaks name it.
	case e.Test != "":
		s.testEvent(e)
	default:
		s.packageEvent(e)
	}
}

func (s *summary) testEvent(e event) {
	p := s.pkg(e.Package)
	output := p.running[e.Test]
	if output == nil {
		output = &strings.Builder{}
		p.running[e.Test] = output
		p.order = append(p.order, e.Test)
	}
	switch e.Action {
	case "output":
		if !isProgress(e.Output) {
			output.WriteString(e.Output)
		}
		return
	case "pass":
		p.passed++
	case "skip":
		p.skipped++
		fmt.Fprint(s.out, output.String())
		s.failures = append(s.failures, fmt.Sprintf("SKIP %s %s", e.Package, e.Test))
	case "fail":
		s.failTest(p, e.Package, e.Test, "")
	default: // run, pause, cont, bench, attr …
		return
	}
	p.forget(e.Test)
}

func (s *summary) packageEvent(e event) {
	p := s.pkg(e.Package)
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
		return
	case "pass", "skip": // a package is skipped when it has no tests
	case "fail":
		s.failPackage(p, e)
	default:
		return
	}
	s.ofModule.add(p.tally)
	delete(s.packages, e.Package)
	switch {
	case e.Action == "fail":
		fmt.Fprintf(s.out, "FAIL %s (%s)\n", e.Package, p.tally)
	case p.tally != tally{}:
		fmt.Fprintf(s.out, "ok   %s (%s) %.1fs\n", e.Package, p.tally, e.Elapsed)
	}
}

// failPackage prints why a package failed, and sees to it that the failure is
// counted although no test may have reported one.
func (s *summary) failPackage(p *pkg, e event) {
	if e.FailedBuild != "" {
		if b := s.builds[e.FailedBuild]; b != nil {
			fmt.Fprint(s.out, b.String())
			b.Reset() // the next package that it breaks needn't repeat it
		}
	}
	for _, test := range slices.Clone(p.order) { // os.Exit, or a panic elsewhere, ended them
		s.failTest(p, e.Package, test, " (did not end)")
		p.forget(test)
	}
	fmt.Fprint(s.out, p.output.String())
	if p.failed == 0 {
		p.failed++
		s.failures = append(s.failures, "FAIL "+e.Package)
	}
}

func (s *summary) failTest(p *pkg, path, test, how string) {
	p.failed++
	fmt.Fprint(s.out, p.running[test].String())
	s.failures = append(s.failures, fmt.Sprintf("FAIL %s %s%s", path, test, how))
}

// end takes the module's result; err is how go test itself ended.
func (s *summary) end(err error) {
	for path, p := range s.packages { // go test was killed
		s.failPackage(p, event{Package: path})
		s.ofModule.add(p.tally)
	}
	switch {
	case err != nil && s.ofModule.failed == 0:
		s.failModule(err.Error())
	case err == nil && s.ofModule == tally{}:
		s.failModule("no test ran")
	}
	s.total.add(s.ofModule)
}

func (s *summary) failModule(reason string) {
	s.ofModule.failed++
	s.failures = append(s.failures, fmt.Sprintf("FAIL module %s: %s", s.module, reason))
}

// interrupt notes that somebody ended the run, else its failures would be taken
// for those of the code.
func (s *summary) interrupt() {
	s.failures = append(s.failures, "interrupted: the tests that had not ended count as failed, others did not run")
}

func (s *summary) finish() {
	for _, f := range s.failures {
		fmt.Fprintln(s.out, f)
	}
	fmt.Fprintln(s.out, s.total)
}

func (s *summary) ok() bool {
	return s.total.passed > 0 && s.total.failed == 0 && s.total.skipped == 0
}

func (s *summary) pkg(path string) *pkg {
	p := s.packages[path]
	if p == nil {
		p = &pkg{running: map[string]*strings.Builder{}}
		s.packages[path] = p
	}
	return p
}

func (p *pkg) forget(test string) {
	delete(p.running, test)
	p.order = slices.DeleteFunc(p.order, func(t string) bool { return t == test })
}

// isProgress tells the lines that say when a test started, stopped or went on.
func isProgress(line string) bool {
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
