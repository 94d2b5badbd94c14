package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// places are the directories of the module that this package is in, and of the
// repository around it.
type places struct{ module, repository string }

func findPlaces(ctx context.Context) (places, error) {
	out, err := goTool(ctx, ".", "list", "-m", "-f", "{{.Dir}}", modulePath)
	if err != nil {
		return places{}, fmt.Errorf("run this in a checkout, in integration: %w", err)
	}
	module := strings.TrimSpace(out)
	return places{module: module, repository: filepath.Dir(module)}, nil
}

// publish writes the two files that tell the results.
func (p places) publish(r report) error {
	return errors.Join(
		writeFile(filepath.Join(p.module, "bench", "results.json"), r.writeJSON),
		writeFile(filepath.Join(p.repository, "docs", "benchmarks.md"), r.writeMarkdown))
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
