"""Results of runs in brackets of parameters: checked, grouped, with their cost, as one page that sorts."""
