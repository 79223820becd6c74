package f32

import (
	"fmt"
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// The matrix product is cut as in Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", ACM TOMS 34 (2008): a panel of op(B),
// maxK×nr, stays in the first cache while the rows of op(A), maxRows×maxK in the
// second cache, pass by in register tiles of mr×nr.
const (
	maxRows = 96   // of op(A): 96 KB; a multiple of mr
	maxCols = 4096 // columns of op(B) that are packed at a time: 4 MB; a multiple of nr
	fewRows = 12   // of op(A), for which packing op(B) is not worth its time
)

// Gemm computes C = α op(A) op(B) + β C for row-major matrices, where op(A) is
// m×k, op(B) is k×n, and op transposes if asked to. β = 0 overwrites C without
// reading it. C must not overlap A or B.
//
// Row i of C depends on row i of op(A) alone, bit for bit: not on m, nor on i,
// nor on the number of workers.
func Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	checkMatrix("op(A)", transA, m, k, a, lda)
	checkMatrix("op(B)", transB, k, n, b, ldb)
	checkMatrix("C", false, m, n, c, ldc)
	if m == 0 || n == 0 {
		return
	}
	w := products.Get()
	defer w.release()
	w.product = product{
		transA: transA, transB: transB, m: m, n: n, k: k, kc: blockK(k),
		alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, beta: beta, c: c, ldc: ldc,
	}
	if m <= maxRows {
		w.run() // every panel of op(B) serves one block of rows: packed where it is used
		return
	}
	whole := w.product
	for j := 0; j < n; j += maxCols {
		for p := 0; p < max(k, 1); p += whole.kc {
			w.product = whole
			w.n, w.k = min(maxCols, n-j), min(whole.kc, k-p)
			w.a, w.b, w.c = from(a, lda, transA, 0, p), from(b, ldb, transB, p, j), c[j:]
			if p > 0 {
				w.beta = 1
			}
			w.pack()
			w.run()
		}
	}
}

// checkMatrix panics unless op(x) can be rows×cols.
func checkMatrix(name string, trans bool, rows, cols int, x []float32, ld int) {
	if trans {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 || ld < cols || rows > 0 && cols > 0 && (len(x) < cols || rows-1 > (len(x)-cols)/ld) {
		panic(fmt.Sprintf("f32: %s needs %d rows of %d with leading dimension %d, got %d values", name, rows, cols, ld, len(x)))
	}
}

// from returns op(x) from its element i, j on.
func from(x []float32, ld int, trans bool, i, j int) []float32 {
	if trans {
		i, j = j, i
	}
	return x[min(i*ld+j, len(x)):]
}

// A product is one C = α op(A) op(B) + β C.
type product struct {
	transA, transB bool
	m, n, k, kc    int
	alpha, beta    float32
	a, b, c        []float32
	lda, ldb, ldc  int
	packed         []float32 // op(B) in panels, unless nil
}

// A productWork is a product with what its workers need. It is reused with its
// room and its closures, so that a call allocates nothing.
type productWork struct {
	product
	rows     int       // of op(A) in a task
	cols     int       // panels of op(B) in a task
	colTasks int       // tasks that share their rows of op(A)
	room     []float32 // for op(B), packed
	doPack   func(lo, hi int)
	doTasks  func(lo, hi int)
}

var products = freelist.List[productWork]{New: func() *productWork {
	w := new(productWork)
	w.doPack, w.doTasks = w.packPanels, w.tasks
	return w
}}

// release lets go of the caller's matrices and makes the work free for reuse.
func (w *productWork) release() {
	w.product = product{}
	products.Put(w)
}

// scratch is the work space of one worker.
type scratch struct {
	a     [maxRows * maxK]float32
	panel [maxK * nr]float32
	tile  [mr * nr]float32
	segs  []segment
}

var scratches = freelist.List[scratch]{New: func() *scratch { return new(scratch) }}

// segments returns room for n segments.
func (s *scratch) segments(n int) []segment {
	if cap(s.segs) < n {
		s.segs = make([]segment, n)
	}
	return s.segs[:n]
}

// release lets go of the caller's arrays and makes the scratch free for reuse.
func (s *scratch) release() {
	clear(s.segs[:cap(s.segs)])
	scratches.Put(s)
}

// flopGrain is the work worth waking a worker for, about 10 µs.
const flopGrain = 1 << 20

// grow returns x with length n, its values lost.
func grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// panels is how many panels n columns make.
func panels(n int) int { return (n + nr - 1) / nr }

// pack packs op(B), of one block of k, panel by panel.
func (w *productWork) pack() {
	w.room = grow(w.room, panels(w.n)*nr*w.k)
	w.packed = w.room
	par.Rows(panels(w.n), max(1, flopGrain/16/(nr*max(w.k, 1))), w.doPack)
}

// packPanels packs the panels from lo to hi.
func (w *productWork) packPanels(lo, hi int) {
	for j := lo; j < hi; j++ {
		w.packPanel(w.packed[j*nr*w.k:], j*nr, 0, w.k)
	}
}

// packPanel packs nr columns of op(B) from column j on, rows p to p+kc.
func (w *productWork) packPanel(dst []float32, j, p, kc int) {
	pack := packRows
	if w.transB {
		pack = packColumns
	}
	pack(dst, from(w.b, w.ldb, w.transB, p, j), w.ldb, min(nr, w.n-j), kc)
}

// run cuts C into tasks and does them.
func (w *productWork) run() {
	rowTasks := (w.m + maxRows - 1) / maxRows
	w.rows = ((w.m+rowTasks-1)/rowTasks + mr - 1) / mr * mr
	rowTasks = (w.m + w.rows - 1) / w.rows
	// Two tasks for each processor, and no more: every task packs its rows of
	// op(A) anew. Where that is little beside the product, eight, so that none
	// waits long for the last.
	flops := 2 * w.rows * w.n * w.k
	procs := runtime.GOMAXPROCS(0)
	tasks := 2 * procs
	if rowTasks*flops >= 256*procs*flopGrain {
		tasks = 8 * procs
	}
	w.colTasks = min((tasks+rowTasks-1)/rowTasks, 1+flops/flopGrain, panels(w.n))
	w.cols = (panels(w.n) + w.colTasks - 1) / w.colTasks
	w.colTasks = (panels(w.n) + w.cols - 1) / w.cols
	grain := max(1, flopGrain*w.colTasks/max(flops, 1))
	par.Rows(rowTasks*w.colTasks, grain, w.doTasks)
}

// tasks does the tasks from lo to hi, those with the same rows as one.
func (w *productWork) tasks(lo, hi int) {
	s := scratches.Get()
	defer s.release()
	for t := lo; t < hi; {
		row := t / w.colTasks
		end := min(hi, (row+1)*w.colTasks)
		i := row * w.rows
		w.task(s, i, min(w.rows, w.m-i), t%w.colTasks*w.cols, min((end-row*w.colTasks)*w.cols, panels(w.n)))
		t = end
	}
}

// task computes rows i to i+m and the panels of columns from lo to hi.
func (w *productWork) task(s *scratch, i, m, lo, hi int) {
	beta := w.beta
	for p := 0; p < max(w.k, 1); p += w.kc {
		kc := min(w.kc, w.k-p)
		segs, sa := w.segments(s, i, m, p, kc)
		for j := lo; j < hi; j++ {
			panel, sb := s.panel[:kc*nr], nr
			cols := min(nr, w.n-j*nr)
			switch {
			case w.packed != nil:
				panel = w.packed[j*nr*kc:]
			case !w.transB && m <= fewRows && cols == nr:
				panel, sb = from(w.b, w.ldb, false, p, j*nr), w.ldb
			default:
				w.packPanel(panel, j*nr, p, kc)
			}
			c := w.c[i*w.ldc+j*nr:]
			for r := 0; r < m; r += mr {
				ct, seg := c[r*w.ldc:], segs[min(r/mr, len(segs)):min(r/mr+1, len(segs))]
				edge(s.tile[:], min(mr, m-r), cols, seg, 0, sa, panel, sb, ct, w.ldc, ct, w.ldc, w.alpha, beta)
			}
		}
		beta = 1
	}
}

// segments returns the segment of every tile of rows i to i+m and elements p to
// p+kc of op(A), none if kc is 0, and the stride of its sums. Rows of A are read
// where they are; columns are packed, tile by tile.
func (w *productWork) segments(s *scratch, i, m, p, kc int) (segs []segment, stride int) {
	if kc == 0 {
		return nil, 1
	}
	segs = s.segments((m + mr - 1) / mr)
	for t := range segs {
		seg, at, rows := &segs[t], i+t*mr, min(mr, m-t*mr)
		seg.b, seg.n = 0, kc
		if !w.transA {
			for r := range rows {
				seg.rows[r] = &w.a[(at+r)*w.lda+p]
			}
			continue
		}
		packed := s.a[t*mr*kc:]
		for q := range kc {
			copy(packed[q*mr:q*mr+mr], w.a[(p+q)*w.lda+at:][:rows])
		}
		for r := range rows {
			seg.rows[r] = &packed[r]
		}
	}
	if w.transA {
		return segs, mr
	}
	return segs, 1
}
