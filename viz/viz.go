// Package viz draws what a run left behind: figures as SVG and PNG, and one
// HTML page that needs no network. It only reads the run folder, so any
// finished run can be drawn again.
//
// Axes are its own, on gonum's canvases: values that have no place on a
// logarithmic axis are left out and counted in the caption, ±Inf has a place
// of its own, and every solver keeps one colour, marker and dash in all
// figures of a run.
//
// References:
//
//	[okabe2008] M. Okabe and K. Ito. Color Universal Design: how to make
//	            figures and presentations that are friendly to colorblind
//	            people. 2008.
//	[tol2021]   P. Tol. Colour schemes. SRON technical note 09-002, 2021.
package viz
