"""What keys make of a capture: IKE messages opened, keys derived from them, ESP and AH opened with these.

Everything here works on what the tracker and the scanner have found; without keys nothing of it runs.
"""
