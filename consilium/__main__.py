"""The console command as `python -m consilium`."""

from consilium.command import main

if __name__ == "__main__":
    main()
