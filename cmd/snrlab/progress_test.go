package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vbauerster/mpb/v8"
)

// A plan is an estimate: the bar has to follow what it comes to.
func TestBar_FollowsTotal(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out, "evaluations", mpb.WithAutoRefresh())
	b.Report("reference", 10, 400)
	b.Report("summary", 250, 300)
	b.finish()
	if got := out.String(); !strings.Contains(got, "summary") || !strings.Contains(got, "250/300 evaluations") {
		t.Errorf("the bar's last state is %q, expected 250/300 evaluations of the summary", got)
	}
}
