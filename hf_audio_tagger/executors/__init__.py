"""Running jobs: in this process, or in processes of its own. Knows neither tags nor folders."""
