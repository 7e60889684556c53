"""What is found out before anything is measured or written: machine, engines, models, files, versions."""
